// A server with echoes, in a separate process.
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { createEventStream, echo } from '../../dist/index.js'

const [mode = 'echo', beat = '5000'] = process.argv.slice(2)
const answersEcho = echo()
let open = 0
let echoes = 0
const server = http.createServer((req, res) => {
  if (answersEcho(req, res)) {
    echoes += 1
    return
  }
  open += 1
  const options = mode === 'none' ? {} : { echo: { beat: Number(beat) } }
  void createEventStream(req, res, options).closed.then(() => open--)
})
server.keepAliveTimeout = 30_000
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
let cpu = process.cpuUsage()
process.on('message', (message) => {
  if (message === 'start') {
    cpu = process.cpuUsage()
    echoes = 0
  }
  const { user, system } = process.cpuUsage(cpu)
  process.send?.({ cpu: (user + system) / 1_000, open, echoes })
})
