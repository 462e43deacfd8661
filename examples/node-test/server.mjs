// The server under test. It is an ordinary program. All that the rig needs is that it listens.
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

// Optional: calls that the test can make.
answer({ reasons: () => reasons })
