// The blocks of README and docs/ that are marked `runnable`, each in a separate process. One that listens is asked for its
// stream; what it prints must be among what its comments say.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cleanup } from '../support/cleanup.js'
import { tsx } from '../support/tsx.js'
import { waitFor } from '../support/wait-for.js'
import { blocksOf, pages, root, type Snippet } from './snippets.js'

const PORT = '8080'
/** Goes before a block that listens: any port will do, and we are told which. */
const TELL = `import net from 'node:net'
const { listen } = net.Server.prototype
net.Server.prototype.listen = function (...given) {
  this.once('listening', () => process.send(this.address().port))
  return Reflect.apply(listen, this, given)
}`
/** `console.log(…) // 'this', 'that', …` */
const PRINTS = /console\.log\(.*\) \/\/ (.+)$/gm

const runnable = pages()
  .flatMap(blocksOf)
  .filter(({ marks }) => marks.includes('runnable'))

interface Run {
  child: ChildProcess
  /** What it has printed to stdout. */
  output: () => string
  /** To stderr. */
  complaints: () => string
}

function start({ code }: Snippet): Run {
  // Within the tree, so that `tcp-sse` and the frameworks are found as a reader's would be.
  const folder = mkdtempSync(join(root, 'test', 'docs', '.run-'))
  cleanup.push(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'block.mts')
  writeFileSync(file, `${TELL}\n${code.replace(PORT, '0')}`)
  const child = spawn(process.execPath, ['--import', tsx, file], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  cleanup.push(() => void child.kill('SIGKILL'))
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.on('data', (more) => {
      text[name] += more
    })
  }
  return { child, output: () => text.stdout, complaints: () => text.stderr }
}

/** Opens the stream at `/events`, sees its head, and leaves with FIN: a close with an event unread would send RST. */
async function visit(port: number): Promise<void> {
  const request = http.get({ host: '127.0.0.1', port, path: '/events' })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect([response.statusCode, response.headers['content-type']]).toEqual([
    200,
    expect.stringContaining('text/event-stream'),
  ])
  response.on('error', () => {}).resume()
  response.socket.end()
  cleanup.push(() => request.destroy())
}

/** For each line that is printed, what it may be. */
function expectations({ code }: Snippet): string[][] {
  return [...code.matchAll(PRINTS)].map(([, comment = '']) => {
    const quoted = [...comment.matchAll(/'([^']*)'/g)].map(([, text = '']) => text)
    return quoted.length > 0 ? quoted : [comment.trim()]
  })
}

describe('blocks marked runnable', () => {
  it('are there', () => expect(runnable.length).toBeGreaterThan(4))

  for (const block of runnable) {
    it(`does what it says: ${block.file}, the one from ${block.code.split('\n')[0]}`, async () => {
      const { child, output, complaints } = start(block)
      const wanted = expectations(block)
      const printed = (): string[] => output().split('\n').filter(Boolean)
      if (block.code.includes(PORT)) {
        const [port] = (await Promise.race([
          once(child, 'message'),
          once(child, 'close').then(() => Promise.reject(new Error(complaints()))),
        ])) as [number]
        await visit(port)
        await waitFor(`${wanted.length} lines`, () => printed().length >= wanted.length, 10_000)
      } else {
        const [code] = await once(child, 'close')
        if (code !== 0) throw new Error(complaints())
      }
      expect(printed()).toHaveLength(wanted.length)
      for (const [index, line] of printed().entries()) expect(wanted[index]).toContain(line)
    })
  }
})
