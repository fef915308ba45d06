() => {
  const numbers = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const over = (front, back) => front.slice(0, 3).map((value, at) => value * (front[3] ?? 1) + back[at] * (1 - (front[3] ?? 1)));
  const paper = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) layers.push(numbers(getComputedStyle(each).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || ["SCRIPT", "STYLE"].includes(element.tagName) || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const back = paper(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [one, other] = [light(over(numbers(ink), back)), light(back)].sort((a, b) => b - a);
    found.push({ text: text.slice(0, 40), ratio: Math.round(((one + 0.05) / (other + 0.05)) * 100) / 100 });
  }
  return found;
}
