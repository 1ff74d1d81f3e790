"""The code that MLflow keeps with a model and runs to load it: this file and a model folder, no pickle.

The package that is installed reads the model; where there is none, the one that the model has with it.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from mlflow.models import set_model

if find_spec("recsys_ae") is None:
    sys.path.append(str(Path(__file__).parent / "code" / "recsys_ae.zip"))

from recsys_ae.tracking.pyfunc import FolderModel

set_model(FolderModel())
