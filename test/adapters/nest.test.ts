// examples/nest, run.
import 'reflect-metadata'
import type { INestApplication } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventsModule, news } from '../../examples/nest/events.js'
import { connect } from '../support/protocol-client.js'
import { waitFor } from '../support/wait-for.js'

describe('the NestJS example', () => {
  let app: INestApplication
  let port: number
  beforeAll(async () => {
    app = await NestFactory.create(EventsModule, { logger: false })
    await app.listen(0, '127.0.0.1')
    port = Number(new URL(await app.getUrl()).port)
  })
  afterAll(() => app.close())

  const open = (headers?: Record<string, string>) => connect('http', port, headers, '/events')

  it('streams at once, resumes, and forgets a client that has gone', async () => {
    const client = await open()
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    for (const id of ['1', '2', '3']) {
      await news.broadcast({ id, data: 'x' })
      await waitFor(`event ${id}`, () => client.text().endsWith(`id: ${id}\ndata: x\n\n`))
    }
    client.leave()
    await waitFor('its end', () => news.size === 0)
    const again = await open({ 'Last-Event-ID': '1' })
    await waitFor('what was missed', () => again.text().endsWith('id: 3\ndata: x\n\n'))
    expect(again.text()).not.toContain('id: 1\n')
    again.leave()
  })
})
