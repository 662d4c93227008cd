import { interleaved, resolveAll } from '../../lib/connect/resolve'

const v4 = (last: number) => ({ address: `192.0.2.${String(last)}`, family: 4 as const })
const v6 = (last: number) => ({ address: `2001:db8::${String(last)}`, family: 6 as const })

describe('the order of addresses (RFC 8305 section 4)', () => {
  it('takes the families by turns, the first one first', () => {
    expect(interleaved([v6(1), v6(2), v6(3), v4(1), v4(2)])).toEqual([
      v6(1),
      v4(1),
      v6(2),
      v4(2),
      v6(3),
    ])
    expect(interleaved([v4(1), v4(2), v6(1)])).toEqual([v4(1), v6(1), v4(2)])
    expect(interleaved([v4(1), v4(2)])).toEqual([v4(1), v4(2)])
    expect(interleaved([])).toEqual([])
  })
})

describe('resolveAll', () => {
  it('asks for all addresses, and calls back in a later tick', async () => {
    let returned = false
    const result = await new Promise((resolve) => {
      resolveAll(
        'x.test',
        { family: 4 },
        (_host, options, callback) => {
          expect(options).toMatchObject({ family: 4, all: true })
          callback(null, [v4(1)])
        },
        (found) => {
          expect(returned).toBe(true)
          resolve(found)
        },
      )
      returned = true
    })
    expect(result).toEqual({ addresses: [v4(1)] })
  })

  it('finds localhost by itself', async () => {
    const result = await new Promise((resolve) => {
      resolveAll('localhost', { family: 4 }, undefined, resolve)
    })
    expect(result).toEqual({ addresses: [{ address: '127.0.0.1', family: 4 }] })
  })
})
