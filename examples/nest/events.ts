// NestJS needs no adapter: with `@Res()` a handler has Node's request and response to itself.
import { Controller, Get, Module, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { createChannel, createEventStream, MemoryHistory } from 'tcp-sse'

/** What all clients get. */
export const news = createChannel({ history: new MemoryHistory() })

@Controller()
export class EventsController {
  @Get('events')
  events(@Req() req: Request, @Res() res: Response): void {
    news.subscribe(createEventStream(req, res, { detectWithin: 10_000 }))
  }
}

@Module({ controllers: [EventsController] })
export class EventsModule {}
