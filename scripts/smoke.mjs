// Does the addon that was just built work? Asked through dist/, as a user would.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { applySocketOptions, capabilities, inspectSocket } from '../dist/index.js'

assert.equal(capabilities().addon, true, 'the addon was not loaded')

const server = createServer()
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const client = connect(server.address().port, '127.0.0.1')
const [[socket]] = await Promise.all([once(server, 'connection'), once(client, 'connect')])
try {
  applySocketOptions(socket, { userTimeout: 5000 })
  const info = inspectSocket(socket)
  assert.ok(info !== null && typeof info === 'object', 'inspectSocket() returned nothing')
} finally {
  client.destroy()
  socket.destroy()
  server.close()
}
console.log('smoke test: the addon loads, sets a socket option and reads TCP_INFO')
