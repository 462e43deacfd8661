// The server under test. It is an ordinary program. All that the rig needs is that it listens.
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

// Optional: calls that the test can make.
answer({ reasons: () => reasons })
