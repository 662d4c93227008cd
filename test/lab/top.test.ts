import { join } from 'node:path'
import { labDescribe } from '../helpers/lab'
import { useNamespace } from '../helpers/namespace'

const MAIN = join(__dirname, '..', '..', 'dist', 'cli', 'main.js')
const FIRST_PORT = 9_001
/** Connections to each port. A destination with a single connection is usually a client of a server, and not shown. */
const CONNECTIONS = [20, 1, 40, 2]

interface Shown {
  destinations: { remoteAddress: string; remotePort: number; used: number }[]
}

labDescribe('socket-tuner top', ['root', 'ip'], () => {
  const namespace = useNamespace()

  it('lists the busiest destinations in order', async () => {
    await namespace().serve('sink-server', { firstPort: FIRST_PORT, ports: CONNECTIONS.length })
    for (const [index, count] of CONNECTIONS.entries()) {
      const ports = [FIRST_PORT + index]
      const client = { way: 'net.connect', ports, hold: true, count, atATime: 1 }
      const { program } = await namespace().start('port-client', client)
      expect(await program.ask('run')).toMatchObject({ made: count })
    }
    const shown = await namespace().run(process.execPath, MAIN, 'top', '--once', '--json')
    const { destinations } = JSON.parse(shown) as Shown
    expect(
      destinations.map(({ remoteAddress, remotePort, used }) => [remoteAddress, remotePort, used]),
    ).toEqual([
      ['127.0.0.1', FIRST_PORT + 2, 40],
      ['127.0.0.1', FIRST_PORT, 20],
      ['127.0.0.1', FIRST_PORT + 3, 2],
    ])
  })
})
