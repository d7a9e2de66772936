"""Search for hyperparameters on several machines: scikit-learn's grid search, carried out by Dask.

Each worker fits networks of its own, and nnkit knows nothing of the others. Without an argument two
processes of this machine do it; with an address the workers of a scheduler, which were started by
`dask scheduler` on one machine and by `NNKIT_NUM_THREADS=1 dask worker ADDRESS` on each of them.
"""

import sys
from collections import Counter

import joblib
from dask.distributed import Client, LocalCluster, get_task_stream
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from nnkit.sklearn import MLPClassifier

GRID = {"hidden_layer_sizes": [(4,), (32,)], "alpha": [1e-4, 1.0]}


def two_processes():
    """Workers with a thread each, as many as share the cores of a small machine."""
    one = {"NNKIT_NUM_THREADS": "1"}
    return LocalCluster(n_workers=2, threads_per_worker=1, env=one, dashboard_address=None)


def search(client, grid, rows):
    """Fit every network of the grid three times, each to two thirds of the rows, on the workers."""
    x, t = load_digits(return_X_y=True)
    mlp = MLPClassifier(learning_rate_init=0.01, tol=0.01, random_state=0)
    with joblib.parallel_config("dask"), get_task_stream(client) as tasks:
        found = GridSearchCV(mlp, grid, cv=3).fit(x[:rows] / 16, t[:rows])
    counts = sorted(Counter(task["worker"] for task in tasks.data).values())
    print(f"tasks by worker: {counts}")
    print(f"best: {found.best_params_}, {found.score(x[rows:] / 16, t[rows:]):.1%} of the others")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with Client(sys.argv[1]) as client:
            search(client, GRID, rows=600)
    else:
        with two_processes() as cluster, Client(cluster) as client:
            search(client, GRID, rows=600)
