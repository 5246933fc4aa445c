"""A Lava process that counts spikes: Lava's own sink hands a raster back one value at a time.

It has a folder of its own because Lava imports every module that lies beside a Process.
"""

import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Counter(AbstractProcess):
    """Counts what arrives."""

    def __init__(self, shape):
        super().__init__(shape=shape)
        self.a_in, self.spikes = InPort(shape=shape), Var(shape=(1,), init=0)


@implements(proc=Counter, protocol=LoihiProtocol)
@requires(CPU)
class PyCounter(PyLoihiProcessModel):
    """The same, in Python."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    spikes: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        self.spikes[0] += np.count_nonzero(self.a_in.recv())
