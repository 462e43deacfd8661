// Runs an application's server.mjs with plain Node, where this process is (a namespace), and hands out what it prints.
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { answer } from '../../src/testing/index.js'

const lines: { at: number; text: string }[] = []

answer({
  /** Starts it, and waits until it listens. */
  async start({ folder, env, port }: { folder: string; env: NodeJS.ProcessEnv; port: number }) {
    const child = spawn(process.execPath, ['server.mjs'], { cwd: folder, env })
    let ended: string | undefined
    child.on('exit', (code, signal) => {
      ended = `server.mjs ended (${code ?? signal})`
    })
    process.on('exit', () => child.kill('SIGKILL'))
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.trim().split('\n')) lines.push({ at: Date.now(), text: line })
      })
    }
    while (!(await accepts(port))) {
      if (ended !== undefined) throw new Error(`${ended}: ${JSON.stringify(lines)}`)
    }
  },
  /** What it has printed, and when (`Date.now()`). */
  lines: () => lines,
})

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => setTimeout(resolve, 20, false))
  })
}
