// What both MCP drivers send.
import type { JSONRPCNotification } from '@modelcontextprotocol/sdk/types.js'

/** A log message, the notification that needs no request before it. */
export function notification(data: string): JSONRPCNotification {
  return { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } }
}
