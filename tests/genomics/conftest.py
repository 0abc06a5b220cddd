from tests.sharing import shared_programs

__all__ = ["shared_programs"]
