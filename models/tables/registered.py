"""What goes by a name: tuned models, with the points of their training, and embedded stores."""

from sqlalchemy import BigInteger, Column, Float, Text
from sqlmodel import Field, SQLModel


class TrainingPoint(SQLModel, table=True):
    """What a training run told of one step."""

    __tablename__ = "training_points"

    job_id: str = Field(primary_key=True)
    step: int = Field(primary_key=True)
    epoch: float | None = None
    loss: float | None = None
    """Mean training loss since the last point, nats per token of the assistant."""
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    """Share of the assistant's tokens that the model would have said itself."""
    learning_rate: float | None = None
    tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Trained on so far."""
    checkpoint: str = ""
    """Name of the checkpoint written at this step, if one was."""
    at: float = Field(sa_column=Column(Float(53), nullable=False))


class TunedModel(SQLModel, table=True):
    """The registry: a trained model with its lineage."""

    __tablename__ = "tuned_models"

    name: str = Field(primary_key=True)
    base: str
    trainer: str
    """`local` or `mistral`."""
    place: str
    """Folder of the adapter below a worker's home, or the provider's model id."""
    job_id: str = Field(index=True)
    dataset_name: str = ""
    dataset_hash: str = ""
    parameters: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    """The `TrainingSpec` as JSON."""
    metrics: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    """Losses before and after, steps, seconds, as JSON."""
    seed: int = 0
    code_version: str = ""
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))


class VectorStore(SQLModel, table=True):
    """Embedded documents in a file, by name."""

    __tablename__ = "vector_stores"

    name: str = Field(primary_key=True)
    path: str
    """The Parquet file."""
    model: str
    """Who embedded them."""
    dimensions: int
    documents: int
    hash: str
    """SHA-256 over the model's name, ids, documents and vectors."""
    job_id: str = Field(index=True)
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))
