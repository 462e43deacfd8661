// Sets keepalive on a connection without the addon, and lets another program read what the kernel has: it inherits the socket.
import { spawn } from 'node:child_process'
import net, { type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { applySocketOptions, capabilities } from '../../src/index.js'

const READ = `
import socket
s = socket.socket(fileno=3)
print([s.getsockopt(level, option) for level, option in (
  (socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
  (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL), (socket.IPPROTO_TCP, socket.TCP_KEEPCNT))])
`

const server = net.createServer(async (socket) => {
  const outcome = applySocketOptions(socket, {
    keepAlive: { idle: 7_500, interval: 2_500, count: 5 },
  })
  const reader = spawn('python3', ['-c', READ], { stdio: ['ignore', 'pipe', 'inherit', socket] })
  const kernel = JSON.parse(await text(reader.stdout as NodeJS.ReadableStream))
  const { addon, keepAliveDetails } = capabilities()
  console.log(JSON.stringify({ addon, keepAliveDetails, outcome, kernel }))
  socket.destroy()
  server.close()
})
server.listen(0, '127.0.0.1', () => net.connect((server.address() as AddressInfo).port))
