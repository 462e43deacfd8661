// Replaces the write methods of Node's responses, as preloaded instrumentation does, and loads the library after that.
// Prints what a client gets.
import http, { OutgoingMessage } from 'node:http'
import http2, { Http2ServerResponse } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { type Method, redacting } from './redacting.js'

const protocol = process.argv[2]
const prototype: object =
  protocol === 'http' ? OutgoingMessage.prototype : Http2ServerResponse.prototype
const methods = prototype as Record<string, Method>
for (const name of ['write', 'end']) methods[name] = redacting(methods[name] as Method)

const { createChannel, createEventStream } = await import('../../src/index.js')
const channel = createChannel()

async function answer(req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
  const stream = createEventStream(req, res)
  channel.subscribe(stream)
  for (let n = 0; n < 4; n++) {
    stream.send({ data: `secret ${n}` })
    await channel.broadcast({ data: `secret ${n}` })
  }
  await stream.close()
}

const server: Server =
  protocol === 'http'
    ? http.createServer(answer)
    : (http2.createServer(answer as never) as unknown as Server)
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const print = (from: NodeJS.ReadableStream): void => {
    from.on('end', () => process.exit()).pipe(process.stdout)
  }
  if (protocol === 'http') http.get(url, print)
  else print(http2.connect(url).request({ ':path': '/' }))
})
