import { readFileSync } from 'node:fs'
import { Cli } from '../cli/run-cli'

// These tests read /proc.
const linux = process.platform === 'linux' ? it : it.skip

const started: Cli[] = []

afterEach(() => {
  for (const cli of started.splice(0)) cli.child.kill('SIGKILL')
})

/** Starts a long demo, and waits until its client and its server run. */
async function running(): Promise<Cli> {
  const cli = new Cli('demo', '--connections', '100000', '--seconds', '15')
  started.push(cli)
  await cli.printed('each mode.')
  return cli
}

function isClient(pid: number): boolean {
  return readFileSync(`/proc/${String(pid)}/cmdline`, 'latin1').includes('client-program.js')
}

describe('the processes of socket-tuner demo', () => {
  linux('are three', async () => {
    const cli = await running()
    expect(cli.processes()).toHaveLength(3)
    cli.child.kill('SIGINT')
    await cli.closed()
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('are gone after %s, and the exit code is %i', async (signal, code) => {
    const cli = await running()
    cli.child.kill(signal)
    expect(await cli.closed()).toMatchObject({ code, signal: null, stderr: '' })
    if (process.platform === 'linux') expect(cli.processes()).toEqual([])
  })

  it('are gone after SIGKILL', async () => {
    const cli = await running()
    cli.child.kill('SIGKILL')
    // 'close' is emitted when the last process that inherited standard error has ended.
    expect(await cli.closed()).toMatchObject({ signal: 'SIGKILL', stderr: '' })
  })

  linux('are gone after the end of the client, and the exit code is 1', async () => {
    const cli = await running()
    const client = cli.processes().find((pid) => pid !== cli.child.pid && isClient(pid))
    if (client === undefined) throw new Error('No client')
    process.kill(client, 'SIGKILL')
    const { code, stderr } = await cli.closed()
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'socket-tuner: The demo failed: the client ended with SIGKILL\n',
    })
    expect(cli.processes()).toEqual([])
  })
})
