// The answer survives a cut connection and a killed server, without a lost token.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

let primary
let port

before(async () => {
  primary = fork(fileURLToPath(new URL('./server.mjs', import.meta.url)), { stdio: 'inherit' })
  // Both workers listen on one port.
  await new Promise((resolve) => {
    let listening = 0
    primary.on('message', (message) => {
      port = message.port
      if (++listening === 2) resolve()
    })
  })
})

after(() => primary.disconnect())

const url = (path, query) => `http://127.0.0.1:${port}${path}?${new URLSearchParams(query)}`
const post = (path, query) => fetch(url(path, query), { method: 'POST' })

/**
 * Asks, and reads the answer over as many connections as necessary. It asks once the stream has
 * sent the channel's position, because no event can be missed from then on. `disturb` is called
 * after each token.
 */
async function ask(id, prompt, disturb) {
  const tokens = []
  let asked = false
  let lastId = ''
  let connections = 0
  while (connections < 50) {
    const controller = new AbortController()
    const headers = lastId === '' ? {} : { 'last-event-id': lastId }
    connections += 1
    // A connection that was handed to a server just as it died is never answered.
    const unanswered = setTimeout(() => controller.abort(), 2_000)
    try {
      const response = await fetch(url('/answer', { id }), { headers, signal: controller.signal })
      clearTimeout(unanswered)
      let rest = ''
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        const blocks = (rest + chunk).split('\n\n')
        rest = blocks.pop()
        for (const block of blocks) {
          const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
          lastId = field('id') ?? lastId
          if (!asked && lastId !== '') {
            asked = true
            await post('/ask', { id, prompt })
          }
          if (field('event') === 'done') {
            controller.abort()
            return { tokens, connections, ...JSON.parse(field('data')) }
          }
          if (field('event') !== 'token') continue
          tokens.push(field('data'))
          await disturb(tokens.length, () => controller.abort())
        }
      }
    } catch (error) {
      if (error.code === 'ERR_ASSERTION') throw error
    }
    clearTimeout(unanswered)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('the answer did not end')
}

const expected = (prompt) => Array.from({ length: 60 }, (_, index) => `${prompt}-${index + 1} `)

test('an answer goes on where the connection was cut, and from another process where the server was killed', async () => {
  const { tokens, connections, reason } = await ask('a', 'why', async (count, cut) => {
    if (count === 10) cut()
    if (count !== 25) return
    // Kills the process that answers. It may or may not be the one that serves the stream.
    const pid = Number(await (await fetch(url('/worker'))).text())
    process.kill(pid, 'SIGKILL')
    cut()
  })
  assert.deepEqual(tokens, expected('why'))
  assert.equal(reason, 'complete')
  assert.ok(connections >= 3, `${connections} connections`)
})

test('a stop reaches the producer from whichever process takes it', async () => {
  const { tokens, reason } = await ask('b', 'how', (count) => {
    if (count === 5) return post('/stop', { id: 'b' })
  })
  assert.equal(reason, 'stopped')
  assert.ok(tokens.length >= 5 && tokens.length < 60)
  assert.deepEqual(tokens, expected('how').slice(0, tokens.length))
})
