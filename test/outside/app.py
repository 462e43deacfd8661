# An event stream as Starlette's users write it. `kind`: what is sent; the number of generators that live is at /live.
import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

live = 0
PAUSE = {"idle": 3600, "ticks": 1, "busy": 0.1, "flood": 0}
SIZE = {"idle": 0, "ticks": 0, "busy": 5_000, "flood": 60_000}


async def events(request):
    kind = request.query_params["kind"]

    async def body():
        global live
        live += 1
        try:
            while not await request.is_disconnected():
                yield "data: " + "x" * SIZE[kind] + "\n\n"
                await asyncio.sleep(PAUSE[kind])
        finally:
            live -= 1

    return StreamingResponse(body(), media_type="text/event-stream")


async def count(request):
    return PlainTextResponse(str(live))


app = Starlette(routes=[Route("/events", events), Route("/live", count)])
