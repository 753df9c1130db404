"""How fast a training step is, beside PyTorch, torch.compile and JAX, measured in the same minutes.

    python -m benchmarks                        all workloads, all frameworks that are installed
    python -m benchmarks lstm gru --frameworks graphnn JAX --turns 3
    python -m benchmarks lstm --frameworks graphnn --turns 3 --starts 0    only the time of a step

    workloads/    what is trained, and how each framework writes it down: one file per framework
    worker.py     one framework, one workload, one process
    harness.py    starts the workers and lets them run in turn
    report.py     the table, the JSON file, the plot

Absolute times drift with the machine; the ratio of two frameworks that took turns does not. All
start from the same weights and see the same batch, and their losses must agree, so that what is
compared is the same training.
"""
