// Where the nodes of the diagram go. Data in, places out: it knows nothing of the page.

/** Heights of nodes, and the room between them. */
const DOMAIN = 46;
const POOL = 46;
const ADDRESS = 30;
const GAP = 6;

/** The height of an address where it is tapped. */
const TAPPED = 40;
const BLOCK_GAP = 18;

/** As many pools are drawn at once, and as many addresses of each until it is unfolded. */
export const MAX_POOLS = 40;
export const MAX_ADDRESSES = 6;
const MAX_UNFOLDED = 200;

/** More would be strewn over the page. */
const MAX_SPREAD = 46;

/**
 * Places `domains` (with their pools' names) and `pools` (in order) into `width`. Each node is
 * { id, kind, x, y, w, h, ... }, each edge { id, from, to, pool, ... } from the right side of a node to the
 * left side of another. What is less high than `room` is set apart to fill it.
 */
export function place(domains, pools, { width, room, isNarrow, unfolded }) {
  const blocks = ordered(domains, pools).map((pool) => block(pool, unfolded.has(pool.name)));
  return isNarrow ? stacked(domains, blocks, width) : abreast(domains, blocks, width, room);
}

/** Pools by where the domains stand that use them, so that few edges cross. */
function ordered(domains, pools) {
  const places = new Map();
  domains.forEach((domain, row) => domain.pools.forEach((pool, position) => {
    const at = places.get(pool) ?? [];
    at.push(row + position / 100);
    places.set(pool, at);
  }));
  const mean = (pool) => {
    const at = places.get(pool.name);
    return at ? at.reduce((sum, row) => sum + row, 0) / at.length : Infinity;
  };
  return pools.map((pool, position) => ({ pool, position, mean: mean(pool) }))
    .sort((a, b) => a.mean - b.mean || a.position - b.position)
    .map(({ pool }) => pool);
}

function block(pool, isUnfolded) {
  const most = isUnfolded ? MAX_UNFOLDED : MAX_ADDRESSES;
  // The last place is not spent on saying that there is one more.
  const count = pool.addresses.length <= most + 1 ? pool.addresses.length : most;
  const addresses = pool.addresses.slice(0, count);
  const more = pool.addresses.length - count;
  const rows = addresses.length + (more > 0 ? 1 : 0);
  return { pool, addresses, more, rows, height: Math.max(POOL, rows * (ADDRESS + GAP) - GAP) };
}

function abreast(domains, blocks, width, room) {
  const gutter = Math.max(56, Math.min(150, width * 0.1));
  const rest = width - 2 * gutter;
  const [domainWidth, poolWidth] = [rest * 0.33, rest * 0.29].map(Math.floor);
  const poolX = domainWidth + gutter;
  const addressX = poolX + poolWidth + gutter;
  const addressWidth = width - addressX;

  const least = blocks.reduce((sum, { height }) => sum + height, 0);
  const gaps = Math.max(1, blocks.length - 1);
  const gap = Math.max(BLOCK_GAP, Math.min(MAX_SPREAD, (room - least) / gaps));
  const poolsHeight = least + gap * (blocks.length - 1);
  const domainsHeight = domains.length * (DOMAIN + GAP) - GAP;
  const height = Math.max(poolsHeight, domainsHeight, DOMAIN);
  const spread = domains.length > 1
    ? Math.min(2 * MAX_SPREAD, (height - domains.length * DOMAIN) / (domains.length - 1)) : 0;
  const nodes = [];
  const edges = [];

  // What is higher than the screen is read from its top.
  let y = height > room ? 0 : (height - (domains.length * (DOMAIN + spread) - spread)) / 2;
  for (const domain of domains) {
    nodes.push({ id: `domain:${domain.name}`, kind: "domain", of: domain, x: 0, y, w: domainWidth, h: DOMAIN });
    y += DOMAIN + spread;
  }
  y = (height - poolsHeight) / 2;
  for (const one of blocks) {
    const { pool } = one;
    const id = `pool:${pool.name}`;
    nodes.push({ id, kind: "pool", of: pool, x: poolX, y: y + (one.height - POOL) / 2, w: poolWidth, h: POOL });
    let row = y + (one.height - (one.rows * (ADDRESS + GAP) - GAP)) / 2;
    for (const node of rows(one)) {
      nodes.push({ ...node, x: addressX, y: row, w: addressWidth, h: ADDRESS });
      if (node.kind === "address") edges.push({ id: `${id}>${node.id}`, from: id, to: node.id, pool, address: node.of });
      row += ADDRESS + GAP;
    }
    y += one.height + gap;
  }
  const drawn = new Set(blocks.map(({ pool }) => pool.name));
  for (const domain of domains) {
    for (const name of domain.pools.filter((pool) => drawn.has(pool))) {
      const [from, to] = [`domain:${domain.name}`, `pool:${name}`];
      edges.push({ id: `${from}>${to}`, from, to, domain, pool: blocks.find(({ pool }) => pool.name === name).pool });
    }
  }
  return { nodes, edges, height, columns: [0, poolX, addressX] };
}

/** One below the other, without edges: the bar in each domain tells its shares. */
function stacked(domains, blocks, width) {
  const nodes = [];
  const indent = 18;
  let y = 0;
  for (const domain of domains) {
    nodes.push({ id: `domain:${domain.name}`, kind: "domain", of: domain, x: 0, y, w: width, h: DOMAIN });
    y += DOMAIN + GAP;
  }
  y += BLOCK_GAP;
  for (const one of blocks) {
    nodes.push({ id: `pool:${one.pool.name}`, kind: "pool", of: one.pool, x: 0, y, w: width, h: POOL });
    y += POOL + GAP;
    for (const node of rows(one)) {
      nodes.push({ ...node, x: indent, y, w: width - indent, h: TAPPED });
      y += TAPPED + GAP;
    }
    y += BLOCK_GAP - GAP;
  }
  return { nodes, edges: [], height: Math.max(0, y), columns: [0, 0, 0] };
}

function rows({ pool, addresses, more }) {
  const nodes = addresses.map((address) => ({
    id: `address:${pool.name}/${address.name}`, kind: "address", of: address, pool,
  }));
  if (more > 0) nodes.push({ id: `more:${pool.name}`, kind: "more", of: { count: more }, pool });
  return nodes;
}
