import numpy as np
from numpy.typing import NDArray

def decode_jpeg_lossless(data: bytes, out: NDArray[np.uint16]) -> str: ...
