// A server as a user would have it: it only listens. Its answers to calls are for the tests that want to look inside.
import http from 'node:http'
import { createEventStream } from 'tcp-sse'
import { answer } from 'tcp-sse/testing'

const closes: { reason: string; address: string | undefined }[] = []

const server = http.createServer((req, res) => {
  const address = req.socket.remoteAddress
  const stream = createEventStream(req, res, { detectWithin: 4_000, stallTimeout: 3_000 })
  let id = 0
  const timer = setInterval(() => {
    if (stream.buffered().pending < 65_536) stream.send({ id: ++id, data: 'x'.repeat(4_000) })
  }, 20)
  stream.closed.then(({ reason }) => {
    clearInterval(timer)
    closes.push({ reason, address })
  })
})
server.listen(0, process.env.LISTEN_ON ?? '::')

answer({ closes: () => closes })
