// The MCP SDK's Streamable HTTP transport: its standalone stream (GET), a transport a client, notifications on it.
import http from 'node:http'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { type Driver, listen, type Service, shut } from './driver.js'
import { notification } from './mcp-notification.js'

export const driver: Driver<StreamableHTTPServerTransport> = {
  async serve(host) {
    const handles = new Set<StreamableHTTPServerTransport>()
    const server = http.createServer(async (req, res) => {
      const transport = new StreamableHTTPServerTransport({})
      await transport.start()
      res.on('close', () => handles.delete(transport))
      // The head has left when this settles, and not the whole response.
      void transport.handleRequest(req, res)
      handles.add(transport)
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
    } satisfies Service<StreamableHTTPServerTransport>
  },
}
