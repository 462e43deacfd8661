// Two copies of the library in one process, and one that was loaded under fake timers or within a request: from the package as
// npm installs it, each in a process of its own.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { VERSION } from '../../src/internal/shared.js'
import { Application, root } from './scene.js'

const app = new Application()
beforeAll(() => app.install(), 60_000)
afterAll(() => app.remove())

/** Two copies, a server whose streams are CommonJS's, and a client. Prints what `body` returns. */
async function withTwo(body: string): Promise<unknown> {
  const { stdout, stderr, status } = await app.run(`
    import http from 'node:http'
    import { createRequire } from 'node:module'
    import * as esm from 'tcp-sse'
    const cjs = createRequire(process.cwd() + '/x.cjs')('tcp-sse')
    const streams = []
    let options = {}
    const server = http.createServer((req, res) => streams.push(cjs.createEventStream(req, res, options)))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const connect = () => new Promise((resolve) => http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, (res) => resolve(res.resume())))
    const code = async (action) => { try { return await action() } catch (error) { return [error.code, error.message] } }
    console.log(JSON.stringify(await (async () => { ${body} })()))
    process.exit()`)
  expect([status, stderr]).toEqual([0, ''])
  return JSON.parse(stdout)
}

describe('ESM and CommonJS in one process', () => {
  it('are two copies, or all of this proves nothing', async () => {
    expect(await withTwo('return esm.createChannel === cjs.createChannel')).toBe(false)
  })

  it('drain of one ends the streams of the other, and turns away new requests', async () => {
    const result = await withTwo(`
      const first = await connect()
      const ended = new Promise((resolve) => first.on('close', resolve))
      const { streams: found, drained } = await esm.drain(server, { spreadOver: 0, timeout: 5_000 })
      await ended
      const { statusCode } = await connect()
      return [found, drained, statusCode, streams.map(({ state }) => state)]`)
    expect(result).toEqual([1, 1, 503, ['closed', 'closed']])
  })

  it("a channel of one takes the other's streams, and is drained by the other", async () => {
    const result = await withTwo(`
      await connect()
      const channel = esm.createChannel({ history: new esm.MemoryHistory() })
      channel.subscribe(streams[0])
      const { sent } = await channel.broadcast({ id: '1', data: 'x' })
      await channel.broadcast({ id: '2', data: 'x' })
      const { drained } = await cjs.drain(channel, { spreadOver: 0, timeout: 5_000 })
      return [sent, drained, (await streams[0].closed).delivered?.id]`)
    expect(result).toEqual([1, 1, expect.toSatisfy((id) => id === '2' || id === null)])
  })

  it('an admission of one limits the streams of the other', async () => {
    const result = await withTwo(`
      options = { admission: esm.createAdmission({ maxStreams: 1 }) }
      return [(await connect()).statusCode, (await connect()).statusCode, options.admission.size]`)
    expect(result).toEqual([200, 503, 1])
  })

  it('metrics() of both count all, and errors of one are instances of the other', async () => {
    const result = await withTwo(`
      await connect()
      streams[0].send({ data: 'x' })
      const { active, opened, events } = esm.metrics()
      let error
      try { cjs.livenessPlan(1) } catch (thrown) { error = thrown }
      return [active, opened, events, cjs.metrics().events, error instanceof esm.TcpSseError, {} instanceof esm.TcpSseError]`)
    expect(result).toEqual([1, 1, 1, 1, true, false])
  })
})

describe('two versions in one process', () => {
  it('are reported by a warning with a code, and refuse streams of the other', async () => {
    const { stdout, stderr } = await app.run(`
      import { readFileSync, readdirSync, writeFileSync, mkdirSync, cpSync } from 'node:fs'
      const from = 'node_modules/tcp-sse', to = 'node_modules/other'
      cpSync(from, to, { recursive: true })
      for (const name of readdirSync(to + '/dist')) {
        if (!/js$/.test(name)) continue
        const text = readFileSync(to + '/dist/' + name, 'utf8')
        writeFileSync(to + '/dist/' + name, text.replace(/VERSION = "${VERSION}"/, 'VERSION = "9.9.9"'))
      }
      const warnings = []
      process.on('warning', ({ code, message }) => warnings.push([code, message]))
      const one = await import('tcp-sse')
      const other = await import(process.cwd() + '/' + to + '/dist/index.js')
      const { Duplex } = await import('node:stream')
      const http = await import('node:http')
      const made = new Promise((resolve) => http.createServer((req, res) => resolve(other.createEventStream(req, res)))
        .emit('connection', Object.assign(new Duplex({ read() {}, write: (c, e, done) => done() }), {}).on('newListener', function () {
          if (!this.sent) { this.sent = true; setImmediate(() => this.push('GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')) }
        })))
      const stream = await made
      const codes = []
      try { one.createChannel().subscribe(stream) } catch ({ code, message }) { codes.push([code, message]) }
      await one.drain(stream).catch(({ code, message }) => codes.push([code, message]))
      console.log(JSON.stringify({ warnings, codes }))
      process.exit()`)
    expect(stderr).toContain('TCP_SSE_TWO_VERSIONS')
    const { warnings, codes } = JSON.parse(stdout)
    expect(warnings).toEqual([['TCP_SSE_TWO_VERSIONS', expect.stringContaining('9.9.9')]])
    expect(codes).toEqual([
      ['ERR_NOT_A_STREAM', expect.stringContaining('9.9.9')],
      ['ERR_NOT_DRAINABLE', expect.stringContaining('9.9.9')],
    ])
  })

  it('have the version of package.json', () => {
    expect(VERSION).toBe(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version)
  })
})

describe('a copy that is loaded late', () => {
  it('sends small events though nextTick was a fake when it was loaded', async () => {
    const { stdout } = await app.run(`
      import http from 'node:http'
      import { createRequire } from 'node:module'
      const require = createRequire(process.cwd() + '/x.cjs')
      const { nextTick } = process
      process.nextTick = () => {}
      const { createEventStream } = require('tcp-sse')
      process.nextTick = nextTick
      const server = http.createServer((req, res) => createEventStream(req, res).send({ data: 'small' }))
      server.listen(0, '127.0.0.1', () => http.get(server.address(), (res) => {
        let text = ''
        res.on('data', (chunk) => {
          text += chunk
          if (!text.includes('data: ')) return
          console.log(text.slice(text.indexOf('data: ')).trim())
          process.exit()
        })
      }))`)
    expect(stdout).toBe('data: small\n')
  })

  it('keeps no store of the request that has loaded it', async () => {
    const { stdout } = await app.run(`
      import { AsyncLocalStorage } from 'node:async_hooks'
      import { createRequire } from 'node:module'
      const require = createRequire(process.cwd() + '/x.cjs')
      const storage = new AsyncLocalStorage()
      const { createChannel } = storage.run('loader', () => require('tcp-sse'))
      const seen = []
      const { Duplex } = await import('node:stream')
      const http = await import('node:http')
      const { createEventStream } = require('tcp-sse')
      const server = http.createServer((req, res) => {
        const stream = createEventStream(req, res)
        stream.signal.addEventListener('abort', () => console.log(String(storage.getStore())))
        stream.abort()
        setImmediate(() => process.exit())
      })
      server.listen(0, '127.0.0.1', () => http.get(server.address()).on('error', () => {}))`)
    expect(stdout).toBe('undefined\n')
  })
})
