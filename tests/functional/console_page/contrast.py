"""Whether text can be read: the contrast of WCAG 2.2, AA."""

from playwright.async_api import Page

MEASURE = """() => {
    const parse = (text) => {
        const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
        return { r, g, b, a };
    };
    const over = (top, below) => {
        const mix = (key) => top[key] * top.a + below[key] * (1 - top.a);
        return { r: mix('r'), g: mix('g'), b: mix('b'), a: 1 };
    };
    const light = ({ r, g, b }) => [r, g, b]
        .map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const paper = parse(getComputedStyle(document.documentElement).backgroundColor);
    const behind = (node) => {
        if (!node || node === document.documentElement) return paper;
        return over(parse(getComputedStyle(node).backgroundColor), behind(node.parentElement));
    };
    const opacity = (node) =>
        node ? Number(getComputedStyle(node).opacity) * opacity(node.parentElement) : 1;
    const unseen = 'script, style, template, noscript, [disabled], .sr, .skip';
    const found = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        const text = walker.currentNode.data.trim();
        if (!text || node.closest(unseen)) continue;
        if (!node.checkVisibility({ visibilityProperty: true })) continue;
        const style = getComputedStyle(node);
        const ground = behind(node);
        const ink = parse(node.closest('svg') ? style.fill : style.color);
        const shown = over({ ...ink, a: ink.a * opacity(node) }, ground);
        const [high, low] = [light(shown), light(ground)].sort((one, other) => other - one);
        const ratio = (high + 0.05) / (low + 0.05);
        const size = parseFloat(style.fontSize);
        const wanted = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
        const name = `${node.tagName}.${node.getAttribute('class')}`;
        if (ratio < wanted) found.add(`${ratio.toFixed(2)} ${name} ${text}`);
    }
    return [...found];
}"""


async def too_faint(page: Page) -> list[str]:
    """Texts that are shown with less contrast than AA asks for, each with its ratio."""
    found = await page.evaluate(MEASURE)
    assert isinstance(found, list)
    return found
