import { interleaved, resolve } from '../../lib/connect/resolve'

const v4 = (last: number) => ({ address: `192.0.2.${String(last)}`, family: 4 as const })
const v6 = (last: number) => ({ address: `2001:db8::${String(last)}`, family: 6 as const })

describe('the order of addresses (RFC 8305 section 4)', () => {
  it('alternates between the families, beginning with that of the first address', () => {
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

describe('a lookup', () => {
  it('calls back once and in a later tick, even if the lookup function calls back twice in the same tick', async () => {
    let returned = false
    const results: unknown[] = []
    resolve(
      'x.test',
      { family: 4, all: true },
      (_host, options, callback) => {
        expect(options).toEqual({ family: 4, all: true })
        callback(null, [v4(1)])
        callback(null, [v4(2)])
      },
      (found) => {
        expect(returned).toBe(true)
        results.push(found)
      },
    )
    returned = true
    await new Promise(setImmediate)
    expect(results).toEqual([v4(1)])
  })

  it('omits duplicates and addresses that Node would not connect to', async () => {
    const again = { address: '2001:DB8:0::0001', family: 6 }
    const wrong = [
      { address: 'nowhere', family: 4 },
      { ...v4(2), family: 0 },
    ]
    const found = [...wrong, v4(1), v4(1), v6(1), again]
    const result = await new Promise((done) => {
      resolve(
        'x.test',
        { all: true },
        (_host, _options, callback) => {
          callback(null, found)
        },
        done,
      )
    })
    expect(result).toEqual({ addresses: [v4(1), v6(1)] })
  })

  it('resolves localhost itself', async () => {
    const result = await new Promise((done) => {
      resolve('localhost', { family: 4, all: true }, undefined, done)
    })
    expect(result).toEqual({ address: '127.0.0.1', family: 4 })
  })
})
