// Uses everything that this library asks of the kernel, and prints what came of it. Run it under the rules of a container.
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import {
  applySocketOptions,
  capabilities,
  createEventStream,
  inspectSocket,
  readSocketOptions,
} from '../../src/index.js'

const server = http.createServer(async (req, res) => {
  const stream = createEventStream(req, res, { detectWithin: 4_000 })
  const outcome = await stream.sendConfirmed({ id: '1', data: 'x' })
  const { retransmitMax } = capabilities()
  const options = {
    userTimeout: 5_000,
    keepAlive: { idle: 7_000, interval: 2_000, count: 4 },
    ...(retransmitMax ? { retransmitMax: 2_000 } : {}),
    noDelay: true,
    notSentLowWater: 16_384,
    sendBuffer: 20_000,
  }
  const { status, skipped } = applySocketOptions(req.socket, options)
  const { state } = inspectSocket(req.socket)
  const inForce = readSocketOptions(req.socket)
  console.log(
    JSON.stringify({ outcome, status, skipped, state, inForce, capabilities: capabilities() }),
  )
  process.exit()
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  net
    .connect(port, '127.0.0.1')
    .on('data', () => {})
    .write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
})
