// The server under test. It is an ordinary program: it listens, and that is all the rig needs.
import http from 'node:http'
import { createEventStream } from 'tcp-sse'
import { answer } from 'tcp-sse/testing'

const reasons: string[] = []

http
  .createServer((req, res) => {
    const stream = createEventStream(req, res, { detectWithin: 4_000 })
    stream.send({ id: '1', data: 'hello' })
    stream.closed.then(({ reason }) => reasons.push(reason))
  })
  .listen(0)

// Optional: what the test may ask.
answer({ reasons: () => reasons })
