// The tools that `@modelcontextprotocol/conformance` calls, as its descriptions ask for them.
import { setTimeout as delay } from 'node:timers/promises'
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js'
import {
  type CallToolResult,
  type ContentBlock,
  CreateMessageResultSchema,
  ElicitResultSchema,
  type ServerNotification,
  type ServerRequest,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js'

export type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>

interface TestTool {
  description: string
  inputSchema?: Tool['inputSchema']
  call(args: Record<string, unknown>, extra: Extra): Promise<ContentBlock[]> | ContentBlock[]
}

/** A pixel, and no sound. */
export const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mNgaPgPAAIDAYAanCY7AAAAAElFTkSuQmCC'
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA='

const text = (text: string): ContentBlock => ({ type: 'text', text })
const image: ContentBlock = { type: 'image', data: PNG, mimeType: 'image/png' }

const withString = (name: string): Tool['inputSchema'] => ({
  type: 'object',
  properties: { [name]: { type: 'string' } },
  required: [name],
})

async function log({ sendNotification }: Extra, data: string): Promise<void> {
  await sendNotification({ method: 'notifications/message', params: { level: 'info', data } })
}

async function progress({ _meta, sendNotification }: Extra, done: number): Promise<void> {
  const progressToken = _meta?.progressToken
  if (progressToken === undefined) return
  const params = { progressToken, progress: done, total: 100 }
  await sendNotification({ method: 'notifications/progress', params })
}

type Properties = Record<string, unknown>

async function ask(
  { sendRequest }: Extra,
  message: string,
  properties: Properties,
  required: string[] = [],
): Promise<string> {
  const requestedSchema = { type: 'object', properties, required }
  const request = { method: 'elicitation/create', params: { message, requestedSchema } }
  const { action, content } = await sendRequest(request as ServerRequest, ElicitResultSchema)
  return `action=${action}, content=${JSON.stringify(content ?? {})}`
}

const titled = (values: readonly [value: string, title: string][]): Properties[] =>
  values.map(([value, title]) => ({ const: value, title }))

const tools: Record<string, TestTool> = {
  test_simple_text: {
    description: 'Answers with a text',
    call: () => [text('This is a simple text response for testing.')],
  },
  test_image_content: { description: 'Answers with an image', call: () => [image] },
  test_audio_content: {
    description: 'Answers with a sound',
    call: () => [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
  },
  test_embedded_resource: {
    description: 'Answers with a resource',
    call: () => [
      {
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      },
    ],
  },
  test_multiple_content_types: {
    description: 'Answers with several kinds of content',
    call: () => [
      text('Multiple content types test:'),
      image,
      {
        type: 'resource',
        resource: {
          uri: 'test://mixed-content-resource',
          mimeType: 'application/json',
          text: JSON.stringify({ test: 'data', value: 123 }),
        },
      },
    ],
  },
  test_tool_with_logging: {
    description: 'Logs while it works',
    async call(_args, extra) {
      await log(extra, 'Tool execution started')
      await delay(50)
      await log(extra, 'Tool processing data')
      await delay(50)
      await log(extra, 'Tool execution completed')
      return [text('Logged three times.')]
    },
  },
  test_tool_with_progress: {
    description: 'Tells how far it is',
    async call(_args, extra) {
      await progress(extra, 0)
      await delay(50)
      await progress(extra, 50)
      await delay(50)
      await progress(extra, 100)
      return [text(String(extra._meta?.progressToken ?? 'no token'))]
    },
  },
  test_error_handling: {
    description: 'Always fails',
    call() {
      throw new Error('This tool intentionally returns an error for testing')
    },
  },
  /** Hangs up while it works; the answer waits for the client to come back. */
  test_reconnection: {
    description: 'Ends its stream before the answer',
    async call(_args, { closeSSEStream }) {
      closeSSEStream?.()
      await delay(100)
      return [text('You came back.')]
    },
  },
  test_sampling: {
    description: 'Asks the client for a completion',
    inputSchema: withString('prompt'),
    async call({ prompt }, { sendRequest }) {
      const { content } = await sendRequest(
        {
          method: 'sampling/createMessage',
          params: {
            messages: [{ role: 'user', content: { type: 'text', text: String(prompt) } }],
            maxTokens: 100,
          },
        },
        CreateMessageResultSchema,
      )
      return [text(`LLM response: ${content.type === 'text' ? content.text : content.type}`)]
    },
  },
  test_elicitation: {
    description: 'Asks the user',
    inputSchema: withString('message'),
    async call({ message }, extra) {
      const fields = {
        username: { type: 'string', description: "User's response" },
        email: { type: 'string', description: "User's email address" },
      }
      return [
        text(`User response: ${await ask(extra, String(message), fields, Object.keys(fields))}`),
      ]
    },
  },
  test_elicitation_sep1034_defaults: {
    description: 'Asks the user, with defaults',
    async call(_args, extra) {
      const answer = await ask(extra, 'Please look these through.', {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
      })
      return [text(`Elicitation completed: ${answer}`)]
    },
  },
  test_elicitation_sep1330_enums: {
    description: 'Asks the user, with every kind of choice',
    async call(_args, extra) {
      const options = ['option1', 'option2', 'option3']
      const values: [string, string][] = [
        ['value1', 'First'],
        ['value2', 'Second'],
        ['value3', 'Third'],
      ]
      const answer = await ask(extra, 'Please choose.', {
        untitledSingle: { type: 'string', enum: options },
        titledSingle: { type: 'string', oneOf: titled(values) },
        legacyEnum: {
          type: 'string',
          enum: ['opt1', 'opt2', 'opt3'],
          enumNames: ['One', 'Two', 'Three'],
        },
        untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
        titledMulti: { type: 'array', items: { anyOf: titled(values) } },
      })
      return [text(`Elicitation completed: ${answer}`)]
    },
  },
  json_schema_2020_12_tool: {
    description: 'Tool with JSON Schema 2020-12 features',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
      additionalProperties: false,
    },
    call: (args) => [text(JSON.stringify(args))],
  },
}

export const toolList: Tool[] = Object.entries(tools).map(
  ([name, { description, inputSchema = { type: 'object' as const } }]) => ({
    name,
    description,
    inputSchema,
  }),
)

/** Runs a tool; what it throws is its answer. */
export async function callTool(
  name: string,
  args: Record<string, unknown>,
  extra: Extra,
): Promise<CallToolResult> {
  const tool = tools[name]
  try {
    if (tool === undefined) throw new Error(`There is no tool '${name}'.`)
    return { content: await tool.call(args, extra) }
  } catch (error) {
    return { isError: true, content: [text((error as Error).message)] }
  }
}
