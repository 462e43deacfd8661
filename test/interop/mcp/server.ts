// An MCP server with what `@modelcontextprotocol/conformance` asks of one, over our streams. Prints its port.
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  isInitializeRequest,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  type Prompt,
  type PromptMessage,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SUPPORTED_PROTOCOL_VERSIONS,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import type { Request, Response } from 'express'
import { callTool, PNG, toolList } from './tools.js'
import { EventStreamTransport } from './transport.js'

const say = (content: PromptMessage['content']): PromptMessage => ({ role: 'user', content })
const text = (text: string): PromptMessage => say({ type: 'text', text })

interface TestPrompt {
  description: string
  arguments?: Prompt['arguments']
  get(args: Record<string, string>): PromptMessage[]
}

const needed = (...names: string[]): Prompt['arguments'] =>
  names.map((name) => ({ name, required: true }))

const prompts: Record<string, TestPrompt> = {
  test_simple_prompt: {
    description: 'A text',
    get: () => [text('This is a simple prompt for testing.')],
  },
  test_prompt_with_arguments: {
    description: 'A text with arguments',
    arguments: needed('arg1', 'arg2'),
    get: ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  },
  test_prompt_with_embedded_resource: {
    description: 'A resource',
    arguments: needed('resourceUri'),
    get: ({ resourceUri = '' }) => [
      say({
        type: 'resource',
        resource: {
          uri: resourceUri,
          mimeType: 'text/plain',
          text: 'Embedded resource content for testing.',
        },
      }),
      text('Please process the embedded resource above.'),
    ],
  },
  test_prompt_with_image: {
    description: 'An image',
    get: () => [
      say({ type: 'image', data: PNG, mimeType: 'image/png' }),
      text('Please analyze the image above.'),
    ],
  },
}

const resources = [
  {
    uri: 'test://static-text',
    name: 'text',
    description: 'A text',
    mimeType: 'text/plain',
    content: { text: 'This is the content of the static text resource.' },
  },
  {
    uri: 'test://static-binary',
    name: 'image',
    description: 'An image',
    mimeType: 'image/png',
    content: { blob: PNG },
  },
  {
    uri: 'test://watched-resource',
    name: 'watched',
    description: 'One to subscribe to',
    mimeType: 'text/plain',
    content: { text: 'Watched resource content' },
  },
]

function read(uri: string) {
  const resource = resources.find((one) => one.uri === uri)
  if (resource !== undefined) return { uri, mimeType: resource.mimeType, ...resource.content }
  const [, id] = /^test:\/\/template\/([^/]+)\/data$/.exec(uri) ?? []
  if (id === undefined) throw new McpError(ErrorCode.InvalidParams, 'Resource not found', { uri })
  const data = { id, templateTest: true, data: `Data for ID: ${id}` }
  return { uri, mimeType: 'application/json', text: JSON.stringify(data) }
}

function createServer(): Server {
  const server = new Server(
    { name: 'tcp-sse-conformance', version: '1.0.0' },
    {
      capabilities: {
        tools: {},
        prompts: {},
        resources: { subscribe: true },
        logging: {},
        completions: {},
      },
    },
  )
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: toolList }))
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) =>
    callTool(params.name, params.arguments ?? {}, extra),
  )
  server.setRequestHandler(ListPromptsRequestSchema, () => ({
    prompts: Object.entries(prompts).map(([name, { get, ...about }]) => ({ name, ...about })),
  }))
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
    const prompt = prompts[params.name]
    if (prompt === undefined) throw new McpError(ErrorCode.InvalidParams, 'Prompt not found')
    return { messages: prompt.get(params.arguments ?? {}) }
  })
  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: resources.map(({ content, ...about }) => about),
  }))
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: [
      { uriTemplate: 'test://template/{id}/data', name: 'template', description: 'Data of an id' },
    ],
  }))
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => ({
    contents: [read(params.uri)],
  }))
  for (const schema of [SubscribeRequestSchema, UnsubscribeRequestSchema, SetLevelRequestSchema]) {
    server.setRequestHandler(schema, () => ({}))
  }
  server.setRequestHandler(CompleteRequestSchema, () => ({ completion: { values: [] } }))
  return server
}

const sessions = new Map<string, EventStreamTransport>()

/** The session that a request belongs to; answers a request that belongs to none. */
async function sessionOf(req: Request, res: Response): Promise<EventStreamTransport | undefined> {
  const id = req.headers['mcp-session-id']
  if (id === undefined && isInitializeRequest(req.body)) {
    const sessionId = randomUUID()
    const transport = new EventStreamTransport({
      sessionId,
      retry: 500,
      onEnd: () => sessions.delete(sessionId),
    })
    sessions.set(sessionId, transport)
    await createServer().connect(transport)
    return transport
  }
  const refuse = (status: number, message: string): undefined => {
    res.status(status).json({ jsonrpc: '2.0', id: null, error: { code: -32_000, message } })
  }
  const version = req.headers['mcp-protocol-version']
  if (version !== undefined && !SUPPORTED_PROTOCOL_VERSIONS.includes(String(version))) {
    return refuse(400, 'Unsupported protocol version')
  }
  if (id === undefined) return refuse(400, 'Missing session ID')
  return sessions.get(String(id)) ?? refuse(404, 'Session not found')
}

const app = createMcpExpressApp()
app.all('/mcp', async (req: Request, res: Response) => {
  const transport = await sessionOf(req, res)
  if (transport === undefined) return
  if (req.method === 'POST') await transport.onPost(req, res, req.body)
  else if (req.method === 'GET') await transport.onGet(req, res)
  else if (req.method === 'DELETE') {
    await transport.close()
    res.status(200).end()
  } else res.status(405).end()
})
const listening = app.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ port: (listening.address() as AddressInfo).port }))
})
