"""How fast graphnn is, beside PyTorch, torch.compile and JAX, measured in the same minutes.

    python -m benchmarks                            training steps of the seven workloads
    python -m benchmarks inference 'cnn28-batch-*'  other groups, single cases, patterns
    python -m benchmarks lstm --frameworks graphnn --turns 3 --starts 0     just the time of a step
    python -m benchmarks.kernels lstm               where the time of that step goes

    cases.py      what is measured: groups of cases
    workloads/    the networks as data, and how each framework writes them down: one file each
    worker.py     one framework in a process of its own
    harness.py    starts the workers and lets them run in turn
    probe.py      what the processors can do
    report.py     the tables, the JSON file; plots.py the plot
    kernels.py    a step of graphnn, kernel by kernel

Absolute times drift with the machine; the ratio of two frameworks that took turns does not. All
start from the same weights and see the same batch, and their losses must agree, so that what is
compared is the same computation.
"""
