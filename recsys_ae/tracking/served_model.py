"""The code that MLflow keeps with a model and runs to load it: this file and a model folder, no pickle."""

try:
    from mlflow.models import set_model

    from recsys_ae.tracking.pyfunc import FolderModel
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"this model is read by the package recsys_ae ({error}); install it beside the model's requirements"
    ) from error

set_model(FolderModel())
