"""stub"""
def explain(*a): return None
