"""What a request's body may hold: exactly the fields of the official specification."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_ANSWERS = 128
"""To one request; the specification names no bound, and a billion would take all memory."""

Chunks = list[dict[str, Any]]
Text = str | Chunks


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FunctionName(_Strict):
    """The name of the one function to call."""

    name: str


class ToolChoice(_Strict):
    """A demand for one named function."""

    function: FunctionName
    type: Literal["function"] = "function"


class Function(_Strict):
    """A function the model may call, with the schema of its arguments."""

    name: str
    parameters: dict[str, Any]
    description: str = ""
    strict: bool = False


class FunctionTool(_Strict):
    """A tool that is a function."""

    function: Function
    type: Literal["function"] = "function"


class HostedTool(BaseModel):
    """A tool the API runs itself: taken, and never called here."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal[
        "web_search",
        "web_search_premium",
        "code_interpreter",
        "image_generation",
        "document_library",
        "connector",
    ]


class FunctionCall(_Strict):
    """A call made earlier in the conversation."""

    name: str
    arguments: str | dict[str, Any]


class ToolCall(_Strict):
    """A tool call made earlier in the conversation."""

    function: FunctionCall
    id: str = "null"
    type: Literal["function"] = "function"
    index: int = 0


class SystemMessage(_Strict):
    """What the model is told to be."""

    role: Literal["system"]
    content: Text


class UserMessage(_Strict):
    """What is asked."""

    role: Literal["user"]
    content: Text | None


class AssistantMessage(_Strict):
    """What the model said before."""

    role: Literal["assistant"]
    content: Text | None = None
    tool_calls: list[ToolCall] | None = None
    prefix: bool = False


class ToolMessage(_Strict):
    """What a called tool answered."""

    role: Literal["tool"]
    content: Text | None
    tool_call_id: str | None = None
    name: str | None = None


Message = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")
]


class JsonSchema(_Strict):
    """The schema an answer has to fit."""

    name: str
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool = False


class ResponseFormat(_Strict):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None


class Prediction(_Strict):
    """A guess at the answer, which the simulator ignores."""

    type: Literal["content"] = "content"
    content: str = ""


class ChatBody(_Strict):
    """`ChatCompletionRequest` of the specification."""

    model: str
    messages: list[Message]
    temperature: float | None = Field(None, ge=0, le=1.5)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=0)
    stream: bool = False
    stop: str | list[str] | None = None
    random_seed: int | None = Field(None, ge=0)
    metadata: dict[str, Any] | None = None
    response_format: ResponseFormat = Field(default_factory=ResponseFormat)
    tools: list[FunctionTool | HostedTool] | None = None
    tool_choice: ToolChoice | Literal["auto", "none", "any", "required"] = "auto"
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    n: int | None = Field(None, ge=1, le=MOST_ANSWERS)
    prediction: Prediction = Field(default_factory=Prediction)
    parallel_tool_calls: bool = True
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    prompt_mode: Literal["reasoning"] | None = None
    guardrails: list[dict[str, Any]] | None = None
    prompt_cache_key: str | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    safe_prompt: bool = False

    def prompt(self) -> str:
        """All the text of the conversation, a message per paragraph."""
        return "\n".join(_text(message.content) for message in self.messages)

    def last_asked(self) -> str:
        """The text of the last message that is the user's."""
        asked = [it.content for it in self.messages if isinstance(it, UserMessage)]
        return _text(asked[-1]) if asked else ""

    def functions(self) -> list[Function]:
        """The functions the model may call."""
        return [tool.function for tool in self.tools or () if isinstance(tool, FunctionTool)]


class EmbeddingBody(_Strict):
    """`EmbeddingRequest` of the specification."""

    model: str
    input: str | list[str]
    metadata: dict[str, Any] | None = None
    output_dimension: int | None = Field(None, gt=0)
    output_dtype: Literal["float", "int8", "uint8", "binary", "ubinary"] = "float"
    encoding_format: Literal["float", "base64"] = "float"

    def texts(self) -> list[str]:
        """The texts to embed."""
        return [self.input] if isinstance(self.input, str) else self.input


def _text(content: Text | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return " ".join(str(chunk.get("text", "")) for chunk in content)
