"""Small fakes of the libraries that callbacks call: what is called of them, and no more."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace


class FakeMLflow(ModuleType):
    """Runs by their names, each with what it was told; one is active or none."""

    def __init__(self):
        super().__init__("mlflow")
        self.runs, self.active, self.experiment = {}, None, None

    def active_run(self):
        return self.active

    def get_run(self, run_id):
        return self.runs[run_id]

    def set_experiment(self, name):
        self.experiment = name

    def start_run(self, run_id=None, run_name=None):
        assert self.active is None
        name = run_id or f"run-{len(self.runs)}"
        if run_id is None:
            info = SimpleNamespace(run_id=name, name=run_name)
            data = SimpleNamespace(params={})
            self.runs[name] = SimpleNamespace(info=info, data=data, log=[], status="RUNNING")
        self.active = self.runs[name]
        return self.active

    def log_params(self, params, run_id):
        known = self.runs[run_id].data.params
        assert not known.keys() & params.keys(), "which MLflow refuses"
        known |= {name: str(value) for name, value in params.items()}

    def log_metrics(self, figures, step, run_id):
        self.runs[run_id].log.append({"epoch": step, **figures})

    def end_run(self, status):
        self.active.status, self.active = status, None


class FakeWandb(ModuleType):
    def __init__(self):
        super().__init__("wandb")
        self.runs, self.run = {}, None

    def init(self, project, name, id, resume):
        assert (id is None) == (resume is None)
        id = id or f"run-{len(self.runs)}"
        self.run = self.runs.setdefault(id, FakeRun(self, id, project, name))
        self.run.status = "RUNNING"
        return self.run


class FakeRun:
    def __init__(self, wandb, id, project, name):
        self.wandb, self.id, self.project, self.name = wandb, id, project, name
        self.settings, self.log_of_epochs, self.charts, self.status = {}, [], {}, "RUNNING"
        self.config = SimpleNamespace(update=self.update)

    def update(self, settings, allow_val_change):
        assert allow_val_change
        self.settings |= settings

    def define_metric(self, name, step_metric):
        self.charts[name] = step_metric

    def log(self, figures):
        self.log_of_epochs.append(figures)

    def finish(self, exit_code):
        self.status, self.wandb.run = ("FINISHED", "KILLED")[exit_code], None


def fake_board():
    class SummaryWriter:
        def __init__(self, folder, **options):
            self.add_scalar = self.add_histogram = lambda *arguments: None
            self.close = lambda: None

    board = ModuleType("tensorboardX")
    board.SummaryWriter = SummaryWriter
    return board
