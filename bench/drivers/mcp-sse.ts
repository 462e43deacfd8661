// The MCP SDK's older transport, HTTP with SSE.
import http from 'node:http'
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js'
import { type Driver, listen, type Service, shut } from './driver.js'
import { notification } from './mcp-notification.js'

export const driver: Driver<SSEServerTransport> = {
  async serve(host) {
    const handles = new Set<SSEServerTransport>()
    const server = http.createServer(async (_req, res) => {
      const transport = new SSEServerTransport('/messages', res)
      await transport.start()
      handles.add(transport)
      res.on('close', () => handles.delete(transport))
    })
    const port = await listen(server, host)
    return {
      port,
      server,
      path: '/',
      handles,
      forms: ['awaited'],
      async broadcast(data) {
        const message = notification(data)
        await Promise.all([...handles].map((transport) => transport.send(message)))
      },
      send: (transport, data) => transport.send(notification(data)),
      onClose(transport, listener) {
        transport.onclose = () => listener()
      },
      close: () => shut(server),
    } satisfies Service<SSEServerTransport>
  },
}
