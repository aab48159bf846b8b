from .engine import LlamaCpp as LlamaCpp
from .engine import State as State
from .library import VERSION as VERSION
from .library import check_library as check_library
from .writing import WRITER as WRITER
from .writing import write_float32_gguf as write_float32_gguf
