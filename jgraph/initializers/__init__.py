"""How start values are drawn: Keras' initializers by name, as values, or any function `(key, shape) -> array`."""

from jgraph.initializers.constants import STFT as STFT
from jgraph.initializers.constants import Constant as Constant
from jgraph.initializers.constants import Identity as Identity
from jgraph.initializers.constants import Ones as Ones
from jgraph.initializers.constants import Zeros as Zeros
from jgraph.initializers.distributions import Orthogonal as Orthogonal
from jgraph.initializers.distributions import RandomNormal as RandomNormal
from jgraph.initializers.distributions import RandomUniform as RandomUniform
from jgraph.initializers.distributions import TruncatedNormal as TruncatedNormal
from jgraph.initializers.scaling import GlorotNormal as GlorotNormal
from jgraph.initializers.scaling import GlorotUniform as GlorotUniform
from jgraph.initializers.scaling import HeNormal as HeNormal
from jgraph.initializers.scaling import HeUniform as HeUniform
from jgraph.initializers.scaling import LecunNormal as LecunNormal
from jgraph.initializers.scaling import LecunUniform as LecunUniform
from jgraph.initializers.scaling import VarianceScaling as VarianceScaling
