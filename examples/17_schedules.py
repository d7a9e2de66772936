"""Learning-rate schedules: long steps first, short ones at the end.

A schedule gives the factor that the optimizer's learning rate is multiplied by in each update. The
same network learns the digits under each, from a learning rate that is rather large.
"""

import nnkit
from nnkit.data import load
from nnkit.schedules import Constant, Cosine, ExponentialDecay, OneCycle, StepDecay, Warmup

EPOCHS, BATCH = 10, 50
digits = load("digits")
updates = EPOCHS * -(-len(digits.x_train) // BATCH)
third = updates // 3

SCHEDULES = {
    "constant": Constant(),
    "step": StepDecay(every=third, factor=0.3),
    "exponential": ExponentialDecay(scale=third),
    "cosine": Cosine(),
    "warm-up, cosine": Warmup(updates=updates // 10, then=Cosine()),
    "one cycle": OneCycle(),
}


def chart(schedule):
    """Draw the factor over the run in twenty characters."""
    factors = [schedule(i * updates // 20, updates) for i in range(20)]
    return "".join(" .:-=+*#%@"[min(9, int(9 * factor + 0.5))] for factor in factors)


print(f"{'':<16} {'factor':<20}  loss    test digits")
for name, schedule in SCHEDULES.items():
    hidden = nnkit.Linear(64, 64), nnkit.ReLU(), nnkit.Linear(64, 64), nnkit.ReLU()
    model = nnkit.Sequential(*hidden, nnkit.Linear(64, 10), seed=0)
    trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy(), nnkit.SGD(lr=0.3, momentum=0.9))
    data = digits.x_train, digits.t_train
    history = trainer.fit(*data, epochs=EPOCHS, batch_size=BATCH, schedule=schedule)
    accuracy = trainer.evaluate(digits.x_test, digits.t_test)["accuracy"]
    print(f"{name:<16} {chart(schedule)}  {history.loss[-1]:.4f}  {accuracy:.1%}")
