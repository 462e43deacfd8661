// The server under test. It is an ordinary program: it listens, and that is all the rig needs.
import http from 'node:http'
import { createEventStream } from 'tcp-sse'
import { answer } from 'tcp-sse/testing'

const reasons = []

http
  .createServer((req, res) => {
    const stream = createEventStream(req, res, { detectWithin: 4_000, stallTimeout: 1_000 })
    const timer = setInterval(() => {
      if (stream.buffered().pending === 0) stream.send({ data: 'x'.repeat(16_000) })
    }, 5)
    stream.closed.then(({ reason }) => {
      clearInterval(timer)
      reasons.push(reason)
    })
  })
  .listen(Number(process.env.PORT ?? 0))

// Optional: what the test may ask.
answer({ reasons: () => reasons })
