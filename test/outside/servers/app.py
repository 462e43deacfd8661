# An event stream as Starlette's users write it. `kind` says what is sent; /live, how many responses are under way;
# /disconnected, how often is_disconnected() has been true.
import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

live = 0
disconnected = 0
PAUSE = {"idle": 3600, "ticks": 1, "busy": 0.1, "flood": 0}
SIZE = {"idle": 0, "ticks": 0, "busy": 5_000, "flood": 60_000}


# A generator that is cut off while it does not run is finished by the garbage collector, at some time: its response counts.
class Counted(StreamingResponse):
    async def __call__(self, scope, receive, send):
        global live
        live += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            live -= 1


async def events(request):
    kind = request.query_params["kind"]

    async def body():
        global disconnected
        while not await request.is_disconnected():
            yield "data: " + "x" * SIZE[kind] + "\n\n"
            await asyncio.sleep(PAUSE[kind])
        disconnected += 1

    # For nginx, which would keep everything back.
    return Counted(body(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def count(request):
    return PlainTextResponse(str(live))


async def count_disconnected(request):
    return PlainTextResponse(str(disconnected))


app = Starlette(
    routes=[
        Route("/events", events),
        Route("/live", count),
        Route("/disconnected", count_disconnected),
    ]
)
