"""The routes of files: multipart in and a stream out, a block at a time."""

import time

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.multipart import MultipartReader

from models.errors import BadInputError
from simulator.hosted_rules import Steering
from simulator.hosting.files import Files, StoredFile
from simulator.hosting.listing import flag_of, page_of, words_of
from simulator.inference import Simulation, answer, response
from simulator.replies import detailed

_BLOCK = 64 * 1024
_SAMPLE_TYPES = {"batch": "batch_request", "fine-tune": "instruct", "ocr": "batch_request"}
_MISSING = detailed(404, "File not found")
_TOO_LARGE = detailed(413, "File is too large: 512 MB at most")


class TooLargeError(BadInputError):
    """An upload is larger than the rules allow."""


class FileRoutes:
    """`/v1/files` and what is below it."""

    def __init__(self, simulation: Simulation, files: Files, steering: Steering) -> None:
        self._simulation = simulation
        self._files = files
        self._steering = steering

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post("/v1/files", self._upload),
            web.get("/v1/files", self._list),
            web.get("/v1/files/{file}", self._one),
            web.delete("/v1/files/{file}", self._delete),
            web.get("/v1/files/{file}/content", self._content),
            web.get("/v1/files/{file}/url", self._url),
        ]

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        if not request.content_type.startswith("multipart/"):
            return response(detailed(422, "a file is uploaded as multipart/form-data"))
        try:
            file = await self._received(await request.multipart())
        except TooLargeError:
            return response(_TOO_LARGE)
        except (HttpProcessingError, ValueError):  # no boundary, a part without an end, ...
            return response(detailed(422, "this is not multipart/form-data"))
        if file is None:
            return response(detailed(422, "the part `file` is missing"))
        hosted = self._simulation.stats.hosted
        hosted.files_uploaded += 1
        hosted.bytes_uploaded += file.size
        return answer(self._files.keep(file).card())

    async def _received(self, parts: MultipartReader) -> StoredFile | None:
        """The file of an upload, whichever part comes first. Raises `BadInputError`."""
        file, purpose = None, "fine-tune"
        async for part in parts:
            if not isinstance(part, BodyPartReader):
                raise ValueError("a part of parts")
            if part.name == "file":
                file = await self._stored(part)
            elif part.name == "purpose":
                purpose = await part.text()
        if purpose not in _SAMPLE_TYPES:
            raise BadInputError(f"purpose is one of {', '.join(_SAMPLE_TYPES)}")
        if file is not None:
            file.purpose = purpose
            file.sample_type = _SAMPLE_TYPES[purpose]
        return file

    async def _stored(self, part: BodyPartReader) -> StoredFile:
        file = self._files.begin(part.filename or "file", "fine-tune", "instruct", time.time())
        try:
            while chunk := await part.read_chunk(_BLOCK):
                file.write(chunk)
                self._check(file)
        except BaseException:  # too large, or the client went away: nobody will ask for it
            file.handle.close()
            raise
        return file

    def _check(self, file: StoredFile) -> None:
        if file.size > self._steering.rules.file_limit:
            raise TooLargeError("larger than the limit")

    async def _list(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        purpose, search = query.get("purpose"), query.get("search", "")
        found = [
            file.card()
            for file in self._files.newest_first()
            if purpose in (None, file.purpose)
            and search in file.filename
            and file.sample_type in (words_of(query, "sample_type") or {file.sample_type})
            and file.source in (words_of(query, "source") or {file.source})
        ]
        total = len(found) if flag_of(query, "include_total", usual=True) else None
        return answer({"data": page_of(query).of(found), "object": "list", "total": total})

    async def _one(self, request: web.Request) -> web.StreamResponse:
        file = self._found(request)
        return response(_MISSING) if file is None else answer({**file.card(), "deleted": False})

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        file = self._found(request)
        if file is None:
            return response(_MISSING)
        self._files.remove(file.id)
        self._simulation.stats.hosted.files_deleted += 1
        return answer({"id": file.id, "object": "file", "deleted": True})

    async def _content(self, request: web.Request) -> web.StreamResponse:
        file = self._found(request)
        if file is None:
            return response(_MISSING)
        length = {"Content-Length": str(file.size), "Content-Type": "application/octet-stream"}
        stream = web.StreamResponse(headers=length)
        await stream.prepare(request)
        left = file.size // 2 if self._steering.take("break_downloads") else file.size
        for block in file.blocks():
            await stream.write(block[:left])
            left -= len(block)
            if left < 0:
                break
        if left < 0 and request.transport is not None:
            request.transport.close()
            return stream
        self._simulation.stats.hosted.files_downloaded += 1
        return stream

    async def _url(self, request: web.Request) -> web.StreamResponse:
        """A link to the content; unlike the real one it wants the key."""
        file = self._found(request)
        if file is None:
            return response(_MISSING)
        return answer({"url": f"{request.scheme}://{request.host}/v1/files/{file.id}/content"})

    def _found(self, request: web.Request) -> StoredFile | None:
        return self._files.find(request.match_info["file"])
