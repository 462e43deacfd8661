// Many clients in one process: with echoes, or without.
import { Agent, fetch as undiciFetch } from 'undici'
import { liveFetch } from '../../dist/client.js'

const [mode, port, count] = process.argv.slice(2)
const dispatcher = new Agent({ keepAliveTimeout: 20_000, bodyTimeout: 0, headersTimeout: 0 })
const fetch = ((input: string, init: object) =>
  undiciFetch(input, { ...init, dispatcher })) as unknown as typeof globalThis.fetch
const used = mode === 'echo' ? liveFetch({ fetch, jitter: 0 }) : fetch

async function read(): Promise<void> {
  const response = await used(`http://127.0.0.1:${port}/`, {})
  for await (const _ of response.body as ReadableStream<Uint8Array>);
}
for (let n = 0; n < Number(count); n++) {
  read().catch((error) => console.error(String(error)))
  if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 20))
}
