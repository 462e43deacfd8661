// Which addon is loaded, and what is reported if there is none. Each case is a separate process, from an installed copy.
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { relative } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Application, builtAddon, compileOther, put } from './scene.js'

const app = new Application()
const linux = process.platform === 'linux'
/** What Node 20 calls it differs. */
const permission = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

beforeAll(() => app.install())
beforeEach(() => app.empty())
afterAll(() => app.remove())

/** One sentence, and a file that was refused is named. */
function expectSentence(reason: string | undefined): void {
  expect(reason).toMatch(/^[A-Z/][^\n]*\.$/)
}

describe.runIf(linux && existsSync(builtAddon))('with an addon that fits', () => {
  it('loads the prebuilt one', async () => {
    put(app.prebuild, { copyOf: builtAddon })
    expect(await app.capabilities()).toMatchObject({ addon: true, detectionGuaranteed: true })
  })

  it('refuses one that is cut off and has no table of sections', async () => {
    const binary = Buffer.from(readFileSync(builtAddon))
    binary.fill(0, 40, 48)
    binary.fill(0, 58, 64)
    put(app.prebuild, { content: binary })
    expect(await app.capabilities()).toMatchObject({ addon: true })
    put(app.prebuild, { content: binary.subarray(0, 9_000) })
    expect((await app.capabilities()).reason).toBe(`${app.prebuild} is truncated.`)
  })

  it('takes the file that TCP_SSE_ADDON names, relative to the working directory', async () => {
    const name = relative(realpathSync(app.folder), builtAddon)
    expect(await app.capabilities([], { TCP_SSE_ADDON: name })).toMatchObject({ addon: true })
  })

  it('prefers the one that a checkout has built, even if that is broken: it says so', async () => {
    put(app.prebuild, { copyOf: builtAddon })
    put(app.build, { copyOf: builtAddon })
    expect(await app.capabilities()).toMatchObject({ addon: true })
    put(app.build, { content: 'not a binary at all, though long enough' })
    const { addon, reason } = await app.capabilities()
    expect(addon).toBe(false)
    expect(reason).toBe(`${app.build} is not a Linux binary.`)
  })

  it('works without it where the permission model forbids addons, and says how to allow them', async () => {
    put(app.prebuild, { copyOf: builtAddon })
    const flags = [permission, '--allow-fs-read=*']
    const { addon, reason } = await app.capabilities(flags)
    expect(addon).toBe(false)
    expect(reason).toContain('--allow-addons')
    expectSentence(reason)
    expect(await app.capabilities([...flags, '--allow-addons'])).toMatchObject({ addon: true })
  })

  it('refuses one for another architecture by its header', async () => {
    const binary = Buffer.from(readFileSync(builtAddon))
    const [machine, name] = process.arch === 'arm64' ? [62, 'x64'] : [183, 'arm64']
    binary.writeUInt16LE(machine as number, 18)
    put(app.prebuild, { content: binary })
    const { addon, reason } = await app.capabilities()
    expect(addon).toBe(false)
    expect(reason).toBe(`${app.prebuild} is for ${name}, not ${process.arch}.`)
  })

  it('refuses one that is cut off, which the system would end the process for', async () => {
    const binary = readFileSync(builtAddon)
    for (const length of [10, 2_000, binary.length - 1]) {
      put(app.prebuild, { content: binary.subarray(0, length) })
      const { addon, reason } = await app.capabilities()
      expect(addon).toBe(false)
      expect(reason).toBe(
        `${app.prebuild} ${length < 64 ? 'is not a Linux binary' : 'is truncated'}.`,
      )
    }
  })

  it('is switched off by an environment variable', async () => {
    put(app.prebuild, { copyOf: builtAddon })
    const { addon, reason } = await app.capabilities([], { TCP_SSE_NO_ADDON: '1' })
    expect([addon, reason]).toEqual([false, 'TCP_SSE_NO_ADDON=1 switches the addon off.'])
  })

  it('never takes the addon of an application that has bundled this library', async () => {
    put(`${app.folder}/build/Release/addon.node`, { copyOf: builtAddon })
    const code = `import { cpSync } from 'node:fs'
      cpSync('node_modules/tcp-sse/dist', '.', { recursive: true })
      const { capabilities } = await import(process.cwd() + '/index.js')
      console.log(capabilities().reason)`
    const { stdout } = await app.run(code)
    expect(stdout.trim()).toContain('Mark tcp-sse as external in the bundler')
  })
})

describe.runIf(linux)('with an addon that does not fit', () => {
  it('reports that there is none for this platform', async () => {
    const { addon, reason, detectionGuaranteed } = await app.capabilities()
    expect([addon, detectionGuaranteed]).toEqual([false, false])
    expect(reason).toBe(`There is no addon for linux-${process.arch} in ${app.package}.`)
  })

  it('refuses garbage', async () => {
    for (const content of ['', 'GIF89a', 'x'.repeat(5_000), '\x7fELF'.padEnd(5_000, '\0')]) {
      put(app.prebuild, { content })
      const { addon, reason } = await app.capabilities()
      expect(addon).toBe(false)
      expect(reason?.startsWith(`${app.prebuild} is `)).toBe(true)
      expectSentence(reason)
    }
  })

  it('refuses a stale one', async () => {
    compileOther(app.prebuild, 1)
    const { addon, reason } = await app.capabilities()
    expect(addon).toBe(false)
    expect(reason).toContain('is stale: it has ABI version 1')
    expectSentence(reason)
  })

  it('refuses an addon of another package', async () => {
    compileOther(app.prebuild, undefined)
    const { addon, reason } = await app.capabilities()
    expect([addon, reason]).toEqual([false, `${app.prebuild} is not an addon of tcp-sse.`])
  })

  it('takes an empty TCP_SSE_ADDON for none', async () => {
    const { reason } = await app.capabilities([], { TCP_SSE_ADDON: '' })
    expect(reason).not.toContain('ENOENT')
  })

  it('reports a missing file that TCP_SSE_ADDON names', async () => {
    const { addon, reason } = await app.capabilities([], { TCP_SSE_ADDON: '/nowhere/addon.node' })
    expect(addon).toBe(false)
    expect(reason).toContain('/nowhere/addon.node')
    expectSentence(reason)
  })
})

describe.each(['win32', 'darwin', 'freebsd'])('on %s, as far as its name goes', (platform) => {
  it('imports, serves events, sees the client leave, and says why there is no addon', async () => {
    // The prebuilds are in the tarball there, too.
    put(app.prebuild, { content: 'of no use here' })
    const code = `
      Object.defineProperty(process, 'platform', { value: '${platform}' })
      const { capabilities, createEventStream, guardServer, inspectSocket } = await import('tcp-sse')
      const { createRequire } = await import('node:module')
      const cjs = createRequire(process.cwd() + '/x.cjs')('tcp-sse').capabilities()
      const http = await import('node:http')
      const server = http.createServer((req, res) => {
        const stream = createEventStream(req, res, { detectWithin: 10_000 })
        stream.send({ id: '1', data: 'hello' })
        stream.closed.then(({ reason }) => {
          const { addon, reason: why, detectionGuaranteed } = capabilities()
          console.log(JSON.stringify({ addon, cjs: cjs.addon, why, detectionGuaranteed, reason, got }))
          server.close()
        })
      })
      guardServer(http.createServer()).stop?.()
      let got = ''
      server.listen(0, '127.0.0.1', () => {
        const client = http.get({ port: server.address().port, host: '127.0.0.1' }, (response) => {
          response.setEncoding('utf8').on('data', (text) => {
            got += text
            if (got.includes('hello')) client.destroy()
          }).on('error', () => {})
        })
      })`
    const { status, stdout, stderr } = await app.run(code)
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      addon: false,
      cjs: false,
      why: `There is no addon for ${platform}.`,
      detectionGuaranteed: false,
      reason: 'client-closed',
      got: expect.stringContaining('data: hello'),
    })
  })
})
