"""The Bot API over HTTP: ``/bot<token>/<method>``, the log of calls, and the faults that were ordered."""

import asyncio

from aiohttp import web

from tests.bot.telegram_server import wire
from tests.bot.telegram_server.methods import Methods
from tests.bot.telegram_server.orders import POLL
from tests.bot.telegram_server.parameters import read_parameters
from tests.bot.telegram_server.refusal import Refusal
from tests.bot.telegram_server.state import State

PAGE = "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center></body>\r\n</html>\r\n"
REASONS = {
    400: "Bad Request",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Dropped(Exception):
    """The connection is to be reset."""


class BotApi:
    """Answers calls."""

    def __init__(self, state: State, methods: Methods) -> None:
        self.state = state
        self.methods = methods

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one call, write it down, and reset the connection where that is ordered."""
        if request.match_info["token"] != self.state.token:
            return _answer(Refusal(401, "Unauthorized"))
        number = len(self.state.calls)
        method = request.match_info["method"]
        now = self.state.clock.now()
        self._write(wire.Call(number=number, method=method, parameters={}, at=now))
        try:
            answer = await self._answer(number, method, request)
        except Dropped:
            self._write(self._call(number).model_copy(update={"ended": self.state.clock.now(), "outcome": "faulted"}))
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        self._write(self._call(number).model_copy(update={"ended": self.state.clock.now(), "status": answer.status}))
        return answer

    async def _answer(self, number: int, method: str, request: web.Request) -> web.Response:
        """1. Wait out a pause. 2. Read. 3. The fault that comes first. 4. Do it. 5. The fault that comes after."""
        if method.lower() != POLL:  # a poll has nothing to answer while nothing happens
            await self.state.open.wait()
        try:
            parameters = await read_parameters(request)
        except Refusal as refusal:
            return self._refused(number, refusal)
        self._note(number, parameters=parameters.loggable())
        order = self.state.orders.take(method.lower(), parameters)
        if order is not None and not order.after and (answer := await self._fault(number, order.fault)) is not None:
            return answer
        try:
            result = await self.methods.call(method, parameters)
        except Refusal as refusal:
            answer = self._refused(number, refusal)
        else:
            self._note(number, outcome="ok", took_effect=True)
            answer = web.json_response({"ok": True, "result": result})
        if method.lower() == POLL:
            await self.state.open.wait()
        if order is not None and order.after and (faulty := await self._fault(number, order.fault)) is not None:
            return faulty
        return answer

    async def _fault(self, number: int, fault: wire.Fault) -> web.Response | None:
        """The answer that a fault gives; None where the call goes on."""
        match fault.kind:
            case "hang":
                await asyncio.sleep(fault.seconds)
                return None
            case "hold":
                await self.state.released.wait()
                return None
            case "drop":
                raise Dropped
            case "page":
                self._note(number, outcome="faulted")
                title = f"{fault.status} {REASONS.get(fault.status, '')}".strip()
                return web.Response(status=fault.status, text=PAGE.format(title), content_type="text/html")
            case "answer":
                wait = fault.retry_after
                description = fault.description or REASONS.get(fault.status, "")
                refusal = Refusal(fault.status, description, None if wait is None else {"retry_after": wait})
                self._note(number, outcome="faulted", description=description, retry_after=wait)
                return _answer(refusal)

    def _refused(self, number: int, refusal: Refusal) -> web.Response:
        wait = (refusal.parameters or {}).get("retry_after")
        self._note(number, outcome="refused", description=refusal.description, retry_after=wait)
        return _answer(refusal)

    def _call(self, number: int) -> wire.Call:
        return self.state.calls[number]

    def _note(self, number: int, **fields: object) -> None:
        self.state.calls[number] = self._call(number).model_copy(update=fields)

    def _write(self, call: wire.Call) -> None:
        self.state.calls[call.number : call.number + 1] = [call]
        self.state.changes.changed()


def _answer(refusal: Refusal) -> web.Response:
    wait = (refusal.parameters or {}).get("retry_after")
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return web.json_response(refusal.as_telegram(), status=refusal.status, headers=headers)
