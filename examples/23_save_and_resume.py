"""Checkpoints: stop a run, save it, load it, and end with the very same weights."""

import tempfile
from pathlib import Path

import nnkit
from nnkit.data import load

digits = load("digits")
data = digits.x_train, digits.t_train
numpy = nnkit.current_backend().to_numpy


def trainer():
    """Make a new run, the same each time."""
    model = nnkit.Sequential(
        nnkit.Linear(64, 32), nnkit.ReLU(), nnkit.Dropout(0.2), nnkit.Linear(32, 10), seed=0
    )
    return nnkit.Trainer(model, optimizer=nnkit.Adam(lr=0.003))


class StopAfter(nnkit.Callback):
    """Stop in the middle of an epoch, as Ctrl-C does."""

    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, trainer):
        """Count down."""
        self.steps -= 1
        trainer.stop = self.steps == 0


whole = trainer()
whole.fit(*data, epochs=4)

first = trainer()
first.fit(*data, epochs=4, callbacks=[StopAfter(steps=100)])
progress = first.progress
print(f"stopped after {progress.epoch} epochs and {progress.step} steps")
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "run.safetensors")
    first.save(file, note="stopped on purpose")
    print(f"saved in {file.stat().st_size:,} bytes")
    second = nnkit.Trainer.load(file)
print(f"loaded, with its note: {second.extra['note']}")
second.resume(*data)

same = numpy(whole.model.flat.values).tobytes() == numpy(second.model.flat.values).tobytes()
print(f"the weights of the resumed run equal the uninterrupted one's bit for bit: {same}")
accuracy = second.evaluate(digits.x_test, digits.t_test)["accuracy"]
print(f"{accuracy:.1%} of the test digits are right")
