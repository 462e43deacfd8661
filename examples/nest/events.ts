// NestJS needs no adapter: with `@Res()`, a handler gets Node's request and response.
import { Controller, Get, Module, Req, Res } from '@nestjs/common'
import type { Request, Response } from 'express'
import { createChannel, createEventStream, MemoryHistory } from 'tcp-sse'

/** The channel of all clients. */
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
