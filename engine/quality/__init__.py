"""From files to measurements: which pixels, which window, which spacing; the numbers themselves come from the kernels.

``pictures`` and ``images`` read, ``windows`` chooses how values become grey values, ``metrics`` lists what can be asked
for, ``measure`` asks; ``sharpness`` and ``noise`` hold the same for transfer functions and noise power spectra, and
``before_after`` compares what a model did. ``table`` and ``curve_table`` turn all of it into rows and JSON.
"""
