"""The text that shows a model's activations where a job brings none: prose, figures, code and a list."""

CALIBRATION_TEXT = """\
The workshop opens at seven. By half past, the kettle has boiled twice and somebody has already asked where the good
pliers went. "They were here yesterday," says Ines, who says so every morning, and goes on sorting screws by length.

In 2019 the club had 214 members; in 2023 it had 187, of whom 62 were younger than thirty. A year's fee is 48.50 and
covers tools, heating and the coffee that nobody likes. What remains, about 1,300 a year, is put aside for the roof.

def average(values):
    total = 0
    for value in values:
        total += value
    return total / len(values) if values else None

To change a wheel: loosen the nuts, raise the car, take the wheel off, put the spare on, tighten the nuts crosswise,
lower the car, and tighten them once more. Don't kneel where the car could fall. If a nut won't move, stand on the
wrench rather than pull at it.

Why is the sky dark at night, when there are so many stars? Because light takes time, and the oldest of it has not
arrived yet. The answer is simple; that it took so long to find it is not.

- three metres of copper pipe, 15 mm
- two elbows and a valve
- solder, flux, a clean rag
"""
